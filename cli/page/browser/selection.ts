type Listener = (op: number | undefined) => void;

/** The op that is selected, for all panels. */
export interface Selection {
  readonly op: number | undefined;
  select(op: number | undefined): void;
  listen(listener: Listener): void;
}

export function createSelection(): Selection {
  const listeners: Listener[] = [];
  let selected: number | undefined;
  return {
    get op() {
      return selected;
    },
    select(op) {
      selected = op;
      for (const listener of listeners) listener(op);
    },
    listen(listener) {
      listeners.push(listener);
    },
  };
}
