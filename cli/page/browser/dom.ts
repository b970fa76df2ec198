/** Small helpers to build the document. Text only ever becomes text nodes, so names from model files stay harmless. */

type Child = Node | string | undefined;
type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An HTML element with attributes and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  dress(made, attributes, children);
  return made;
}

/** An SVG element with attributes and children. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  dress(made, attributes, children);
  return made;
}

function dress(made: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== undefined) made.append(child);
}

/** A titled part of the page. */
export function panel(id: string, title: string, hint: string, ...children: readonly Child[]): HTMLElement {
  const heading = element('h2', { id: `${id}-title` }, title);
  const head = element('header', {}, heading, hint === '' ? undefined : element('p', { class: 'hint' }, hint));
  return element('section', { id, class: 'panel', 'aria-labelledby': `${id}-title` }, head, ...children);
}

/** A bar that fills a share of its track. */
export function bar(share: number, tone: string): HTMLElement {
  const fill = element('i', { class: `tone-${tone}` });
  fill.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return element('span', { class: 'bar', 'aria-hidden': 'true' }, fill);
}
