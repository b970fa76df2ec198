import type { OnnxGraph, OnnxValue } from '../../../soap/onnx/model.ts';
import { isLongSum } from '../../../soap/simulator/host/copies.ts';
import type { Addition } from '../addition.ts';
import { addByValue } from '../addition.ts';
import { createValue } from './environment.ts';
import type { OrtLibrary, Pointer } from './library.ts';

/** An addition of two tensors of any length. */
export function additionGraph(): OnnxGraph {
  const value = (name: string): OnnxValue => ({ name, dtype: 'float32', shape: ['length'] });
  return {
    name: 'addition',
    opset: 17,
    inputs: [value('target'), value('source')],
    outputs: [value('sum')],
    initializers: new Map(),
    nodes: [{ name: 'add', opType: 'Add', domain: '', inputs: ['target', 'source'], outputs: ['sum'], attributes: {} }],
  };
}

/** Additions by the library, in place. @param session of {@link additionGraph} */
export function createAddition(library: OrtLibrary, cpu: Pointer, session: Pointer): Addition {
  const valueOf = (memory: Float32Array): Pointer =>
    createValue(library, cpu, { memory, dtype: 'float32', shape: [memory.length] });
  return (target, source) => {
    if (!isLongSum(source.length)) {
      addByValue(target, source);
      return;
    }
    const binding = library.create('CreateIoBinding', session);
    const values: Pointer[] = [];
    try {
      for (const memory of [target, source]) values.push(valueOf(memory));
      const [sum, term] = values;
      library.call('BindInput', binding, 'target', sum!);
      library.call('BindInput', binding, 'source', term!);
      library.call('BindOutput', binding, 'sum', sum!);
      library.runHere(session, binding);
    } finally {
      library.release('ReleaseIoBinding', binding);
      for (const value of values) library.release('ReleaseValue', value);
    }
  };
}
