/** What is used here of the WebAssembly JavaScript Interface, which the types of Node leave out: https://www.w3.org/TR/wasm-js-api-2/ */
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { readonly initial: number; readonly maximum: number; readonly shared: true });
    /** Shared, it is never detached. */
    readonly buffer: SharedArrayBuffer;
  }
  /** A module is made and handed on, no more. */
  const Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  class Instance {
    constructor(module: object, imports: { readonly host: { readonly memory: Memory } });
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
