// The schema, asked of the API itself, shown type by type.

const ASK = `{ __schema {
  queryType { name } mutationType { name }
  types {
    kind name description
    enumValues { name description }
    inputFields { name description type { ...T } }
    fields { name description type { ...T } args { name type { ...T } defaultValue } }
  }
} }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`;

let types;

export async function open(panel, ask) {
  if (!types) {
    const schema = (await ask(ASK)).data.__schema;
    types = new Map(schema.types.map((type) => [type.name, type]));
    types.roots = [schema.queryType, schema.mutationType].filter(Boolean).map((root) => root.name);
  }
  show(panel, types.roots[0]);
}

function show(panel, name) {
  const type = types.get(name);
  const parts = [element("p", ...types.roots.flatMap((root) => [link(panel, root), " "])), element("h2", name)];
  if (type.description) parts.push(element("p", type.description));
  const list = element("dl");
  for (const held of type.fields ?? type.inputFields ?? type.enumValues ?? []) {
    list.append(element("dt", held.name, ...taken(panel, held.args), ...given(panel, held.type)));
    if (held.description) list.append(element("dd", held.description));
  }
  panel.replaceChildren(...parts, list);
  panel.scrollTop = 0;
}

function taken(panel, args) {
  if (!args?.length) return [];
  const parts = args.flatMap((arg, i) => [
    i ? ", " : "",
    `${arg.name}: `,
    ...written(panel, arg.type),
    arg.defaultValue && arg.defaultValue !== "null" ? ` = ${arg.defaultValue}` : "",
  ]);
  return ["(", ...parts, ")"];
}

function given(panel, type) {
  return type ? [": ", ...written(panel, type)] : [];
}

function written(panel, type) {
  if (type.kind === "NON_NULL") return [...written(panel, type.ofType), "!"];
  if (type.kind === "LIST") return ["[", ...written(panel, type.ofType), "]"];
  return [link(panel, type.name)];
}

function link(panel, name) {
  const anchor = element("a", name);
  anchor.tabIndex = 0;
  anchor.addEventListener("click", () => show(panel, name));
  anchor.addEventListener("keydown", (event) => event.key === "Enter" && show(panel, name));
  return anchor;
}

function element(name, ...inner) {
  const made = document.createElement(name);
  made.append(...inner);
  return made;
}
