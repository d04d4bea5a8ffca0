import { stringify } from 'yaml';

type Fields = Readonly<Record<string, unknown>>;
type Node = string | { readonly text: string } | Block;
interface Block {
  readonly head: string;
  readonly body: Node[];
  readonly otherwise: Node[] | undefined;
}

/**
 * Renders a template of the chart as helm does, as far as the chart needs it: values by path, one `if` with `else`, `range` over a map by
 * key, `toYaml … | indent N`. Anything else is refused, so that the templates cannot come to need what is not rendered here.
 */
export function renderTemplate(text: string, root: { readonly Values: Fields; readonly Release: Fields }): string {
  return render(parse(text), { $: root, '.': root });
}

/** `{{-` takes away the white space before it (text/template, "Text and spaces"). */
function parse(text: string): Node[] {
  const stack: { readonly block: Block | undefined; readonly nodes: Node[] }[] = [{ block: undefined, nodes: [] }];
  const top = () => stack.at(-1) ?? { block: undefined, nodes: [] };
  for (const [, before = '', trim, action] of text.matchAll(/([\s\S]*?)(?:\{\{(-?)\s*([\s\S]*?)\s*\}\}|$)/g)) {
    top().nodes.push(trim === '-' ? before.trimEnd() : before);
    if (action === undefined) continue;
    if (/^(if|range)\b/.test(action)) {
      const block: Block = { head: action, body: [], otherwise: undefined };
      top().nodes.push(block);
      stack.push({ block, nodes: block.body });
    } else if (action === 'else') {
      const { block } = stack.pop() ?? {};
      if (block === undefined) throw new Error('else without if');
      const nodes: Node[] = [];
      Object.assign(block, { otherwise: nodes });
      stack.push({ block, nodes });
    } else if (action === 'end') stack.pop();
    else top().nodes.push({ text: action });
  }
  if (stack.length !== 1) throw new Error('a block has no end');
  return top().nodes;
}

function render(nodes: readonly Node[], scope: Fields): string {
  return nodes
    .map((node) => (typeof node === 'string' ? node : 'text' in node ? fillIn(node.text, scope) : renderBlock(node, scope)))
    .join('');
}

function renderBlock({ head, body, otherwise = [] }: Block, scope: Fields): string {
  const condition = /^if (\S+)$/.exec(head)?.[1];
  if (condition !== undefined) return render(isTrue(look(condition, scope)) ? body : otherwise, scope);
  const [, key = '', value = '', map = ''] = /^range (\$\w+), (\$\w+) := (\S+)$/.exec(head) ?? [];
  if (map === '') throw new Error(`${head} is more than is rendered here`);
  const entries = Object.entries((look(map, scope) ?? {}) as Fields).sort(([one], [other]) => (one < other ? -1 : 1));
  return entries.map(([name, item]) => render(body, { ...scope, [key]: name, [value]: item })).join('');
}

function fillIn(action: string, scope: Fields): string {
  const [, path, indent] = /^toYaml (\S+) \| indent (\d+)$/.exec(action) ?? [];
  if (path === undefined) return String(look(action, scope) ?? '');
  const yaml = stringify(look(path, scope)).trimEnd();
  return yaml.replaceAll(/^/gm, ' '.repeat(Number(indent)));
}

function isTrue(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== 0 && value !== false;
}

/** `.Values.a.b`, `$.Release.Name`, `$name`. */
function look(path: string, scope: Fields): unknown {
  if (!/^(\$\w+|\$?(\.\w+)+)$/.test(path)) throw new Error(`${path} is more than is rendered here`);
  if (/^\$\w+$/.test(path)) return scope[path];
  const [head, ...rest] = path.split('.');
  return rest.reduce<unknown>((value, key) => (value as Fields | undefined)?.[key], scope[head === '$' ? '$' : '.']);
}
