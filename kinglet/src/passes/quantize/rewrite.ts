import { type Graph, GraphBuilder, type Node, type Value, type ValueType } from "../../graph/index.ts";
import { inputOf, type TensorQuantization } from "../../ops/index.ts";
import type { NodeDomain } from "./domains.ts";
import type { Groups } from "./groups.ts";
import type { QuantizedModel, QuantizedNode, QuantizeOptions } from "./quantize.ts";
import { type Domain, type IntegerDomain, isFloat, ruleOf } from "./rules.ts";
import { perTensor, quantizeData } from "./scale.ts";
import { quantizeLayer } from "./weights.ts";

/** A value as some node wants it. `quantization` is absent in floating point. */
interface Form {
  readonly domain: Domain;
  readonly quantization?: TensorQuantization;
}

const FLOAT: Form = { domain: "float" };

function formKey(value: Value, { domain, quantization }: Form): string {
  return `${value.id}:${domain}:${quantization?.scale}:${quantization?.zeroPoint}`;
}

function typeOf(value: Value, { domain, quantization }: Form): ValueType {
  if (domain === "float" || quantization === undefined) return { dtype: value.dtype, shape: value.shape };
  return { dtype: domain, shape: value.shape, quantization: perTensor(quantization) };
}

/** Writes the integer graph node by node; every value is made in the forms that somebody wants, each once. */
export class Rewriter {
  private readonly source: Graph;
  private readonly domains: readonly NodeDomain[];
  private readonly groups: Groups;
  private readonly options: QuantizeOptions;
  private readonly builder: GraphBuilder;
  /** The form in which each value comes about, and all its forms so far. */
  private readonly born = new Map<number, Form>();
  private readonly forms = new Map<string, Value>();
  private readonly layers: QuantizedNode[] = [];
  private readonly values = new Map<number, Value>();

  constructor(source: Graph, domains: readonly NodeDomain[], groups: Groups, options: QuantizeOptions) {
    this.source = source;
    this.domains = domains;
    this.groups = groups;
    this.options = options;
    this.builder = new GraphBuilder(source.name);
  }

  run(): Pick<QuantizedModel, "graph" | "layers" | "values"> {
    for (const value of this.source.inputs) this.addInput(value);
    this.source.nodes.forEach((node, i) => {
      const { domain } = this.domains[i]!;
      if (domain === "float" || this.options.isolate === true) this.addFloat(node);
      if (domain !== "float") this.addInteger(node, i, domain);
    });
    for (const value of this.source.outputs) this.builder.output(this.outputForm(value));
    for (const [key, text] of Object.entries(this.source.metadata)) this.builder.note(key, text);
    return { graph: this.builder.build(), layers: this.layers, values: this.values };
  }

  /** The border's type; where the inside is floating-point as well, its calibrated range decides. */
  private borderForm(value: Value): Form {
    const io = this.options.isolate === true ? "float" : (this.options.io ?? "float");
    if (io === "float" || !isFloat(value)) return FLOAT;
    return { domain: io, quantization: this.groups.quantization(value, io) };
  }

  private addInput(value: Value): void {
    const form = this.borderForm(value);
    this.bear(value, form, this.builder.input(value.name, typeOf(value, form)));
  }

  private outputForm(value: Value): Value {
    const born = this.born.get(value.id);
    const border = this.borderForm(value);
    // A scale that the node itself gives (a softmax) is kept where the type is the right one already.
    return this.form(value, born !== undefined && born.domain === border.domain ? born : border);
  }

  private bear(value: Value, form: Form, made: Value): void {
    this.born.set(value.id, form);
    this.forms.set(formKey(value, form), made);
    this.values.set(value.id, made);
  }

  private form(value: Value, form: Form): Value {
    const key = formKey(value, form);
    const known = this.forms.get(key);
    if (known !== undefined) return known;
    const made = this.makeForm(value, form);
    this.forms.set(key, made);
    return made;
  }

  private makeForm(value: Value, form: Form): Value {
    if (value.variable === true) return this.builder.variable(value.name, typeOf(value, FLOAT), value.initial);
    if (value.data !== undefined) return this.constantForm(value, form);
    const born = this.born.get(value.id)!;
    const from = this.form(value, born);
    const made = this.builder.value(`${value.name}_${form.domain}`, typeOf(value, form));
    if (form.domain === "float") this.builder.node("dequantize", [from], [made], {}, `dequantize ${value.name}`);
    else this.builder.node("quantize", [from], [made], { dtype: form.domain }, `quantize ${value.name}`);
    return made;
  }

  private constantForm(value: Value, form: Form): Value {
    const { domain, quantization } = form;
    if (domain === "float" || quantization === undefined)
      return this.builder.constant(value.name, { dtype: value.dtype, shape: value.shape, quantization: value.quantization }, value.data!);
    return this.builder.constant(value.name, typeOf(value, form), quantizeData(value.data!, quantization, domain));
  }

  private addFloat(node: Node): void {
    const inputs = node.inputs.map((value) => (value === null ? null : this.form(value, FLOAT)));
    const outputs = node.outputs.map((value) => {
      const made = this.builder.value(value.name, value);
      this.bear(value, FLOAT, made);
      return made;
    });
    this.builder.node(node.op, inputs, outputs, node.attributes, node.name);
  }

  private addInteger(node: Node, index: number, domain: IntegerDomain): void {
    const rule = ruleOf(node)!;
    const inputs = rule.kind === "weights" ? this.layerInputs(node, index, domain, rule.axis) : this.operands(node, domain);
    const isolate = this.options.isolate === true;
    const outputs = node.outputs.map((value) => {
      const form: Form = isFloat(value) ? { domain, quantization: this.groups.quantization(value, domain) } : FLOAT;
      const made = this.builder.value(isolate ? `${value.name}_alone` : value.name, typeOf(value, form));
      if (isolate) {
        this.values.set(value.id, made);
        this.builder.output(made);
      } else this.bear(value, form, made);
      return made;
    });
    const made = this.builder.node(node.op, inputs, outputs, this.attributes(node, domain), isolate ? `${node.name} alone` : node.name);
    this.layers.push({ index, source: node, node: made, domain });
  }

  private operandForm(node: Node, value: Value, domain: IntegerDomain): Form {
    return { domain, quantization: this.groups.operand(node, value, domain) };
  }

  private operands(node: Node, domain: IntegerDomain): (Value | null)[] {
    return node.inputs.map((value) => {
      if (value === null) return null;
      return this.form(value, isFloat(value) ? this.operandForm(node, value, domain) : FLOAT);
    });
  }

  private layerInputs(node: Node, index: number, domain: IntegerDomain, axis: number): Value[] {
    const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
    const form = this.operandForm(node, x, domain);
    const layer = quantizeLayer(node, axis, form.quantization!.scale, domain, this.options, this.options.overrides?.get(index));
    const bias = domain === "int8" ? "int32" : "int64";
    return [
      this.form(x, form),
      this.builder.constant(w.name, { dtype: "int8", shape: w.shape, quantization: layer.quantization }, layer.weights),
      this.builder.constant(
        node.inputs[2]?.name ?? `${w.name}_bias`,
        { dtype: bias, shape: [layer.bias.length], quantization: layer.biasQuantization },
        layer.bias,
      ),
    ];
  }

  /** What is added around a tensor is a stored number. */
  private attributes(node: Node, domain: IntegerDomain): Node["attributes"] {
    const value = node.op === "pad" ? node.attributes["value"] : undefined;
    if (typeof value !== "number") return node.attributes;
    const quantization = this.groups.quantization(node.outputs[0]!, domain);
    return { ...node.attributes, value: Number(quantizeData(Float64Array.of(value), quantization, domain)[0]) };
  }
}
