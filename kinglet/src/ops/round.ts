import { defineFunction, type Func } from "../loops/index.ts";

/** C's roundf, without the double rounding of "add one half". */
export const roundAwayFloat: Func = defineFunction(
  "round_away",
  "x to the nearest whole number, ties away from zero.",
  { x: "f32" },
  "f32",
  (f, x) => {
    const whole = f.let("whole", x!.trunc());
    const rest = f.let("rest", x!.sub(whole));
    f.return(whole.add(rest.ge(0.5).sub(rest.le(-0.5)).to("f32")));
  },
);
