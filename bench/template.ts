/** A page of a template and what its placeholders `{{name}}` stand for. @throws Error for one that stands for nothing */
export function filled(template: string, parts: Readonly<Record<string, string>>, name: string): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, part: string) => {
    const text = parts[part];
    if (text === undefined) throw new Error(`${name} asks for {{${part}}}, which there is not`);
    return text;
  });
}
