import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import test from 'ava';
import { createKernelEngine } from '../../runtime/kernels/create-engine.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import { HAS_SOFTWARE_GPU, onSoftwareGpu } from '../support/software-gpu.ts';

const OPTIONS = { threads: 1, gpu: 0 };

for (const [provider, name] of [
  ['cpu', 'ONNX Runtime CPU'],
  ['reference', 'reference'],
] as const) {
  test(`${provider} is always there`, (t) => {
    const chosen = createKernelEngine(provider, OPTIONS);
    t.is(chosen.provider, provider);
    t.is(chosen.engine.name, name);
    chosen.engine.close();
  });
}

onSoftwareGpu('a device of software is taken where it is asked for, but not by itself', (t) => {
  const asked = createKernelEngine('webgpu', OPTIONS);
  t.is(asked.engine.name, 'ONNX Runtime WebGPU');
  asked.engine.close();
  const chosen = createKernelEngine('auto', OPTIONS);
  t.is(chosen.provider, 'cpu');
  chosen.engine.close();
});

test('CUDA without its library is refused with what is missing and what to do', (t) => {
  t.throws(() => createKernelEngine('cuda', OPTIONS), {
    instanceOf: KernelError,
    message:
      /there is no CUDA device here \([^ ]*libonnxruntime_providers_cuda\.so: cannot open .*\): put .*docs\/gpu\.md says; or run with --provider webgpu or cpu/,
  });
});

/** Runs a script in a process of its own. */
async function run(script: string, env: NodeJS.ProcessEnv): Promise<string> {
  const url = new URL('../../runtime/kernels/create-engine.ts', import.meta.url).href;
  const source = `import { createKernelEngine } from '${url}'; const options = { threads: 1, gpu: 0 }; ${script}`;
  const options = { env: { ...process.env, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source], options);
  return stdout;
}

test('WebGPU without a driver is refused with the cure, and auto goes on with the CPU', async (t) => {
  const none = { VK_ICD_FILENAMES: '/nowhere.json' };
  const refusal = await run(
    `try { createKernelEngine('webgpu', options); } catch ({ message }) { console.log(message); }`,
    none,
  );
  t.regex(
    refusal,
    /^there is no WebGPU device here \(Failed to get a WebGPU adapter[^)]*\): install the driver.*--provider cpu\n$/,
  );
  t.is(await run(`console.log(createKernelEngine('auto', options).provider)`, none), 'cpu\n');
});

test('a native library that is absent, as that of Vulkan may be, does not keep others from being loaded', async (t) => {
  const url = new URL('../../runtime/kernels/native-library.ts', import.meta.url).href;
  const written = await run(
    `const { loadNative } = await import('${url}');
     try { loadNative('libnowhere.so.1'); } catch { console.log('absent'); }
     console.log(createKernelEngine('cpu', options).engine.name);`,
    {},
  );
  t.is(written, 'absent\nONNX Runtime CPU\n');
});

const ends: [string, string][] = [
  ['leaves everything open', ''],
  ['closes the engine', 'engine.close();'],
  ['ends in the middle of a run', 'for (let i = 0; i < 50; i++) void bounds[0].run(); process.exit(0);'],
];
for (const [does, end] of ends) {
  onSoftwareGpu(`a process with kernels on WebGPU that ${does} ends with code 0`, async (t) => {
    const written = await run(
      `
      const { engine } = createKernelEngine('webgpu', options);
      const other = createKernelEngine('cpu', options).engine;
      const value = (name) => ({ name, dtype: 'float32', shape: [2] });
      const nodes = [{ name: 'n', opType: 'Neg', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }];
      const graph = { name: 'g', opset: 17, inputs: [value('x')], outputs: [value('y')], initializers: new Map(), nodes };
      const bounds = [];
      for (const each of [engine, other]) {
        const [x, y] = [each.allocate('float32', 2), each.allocate('float32', 2)];
        x.host.set([1, 2]);
        await each.upload([x]);
        const bound = each.compile(graph).bind({ x, y });
        bounds.push(bound);
        await bound.run();
        await each.download([y]);
        console.log(y.host.join());
      }
      ${end}`,
      HAS_SOFTWARE_GPU ? {} : { VK_ICD_FILENAMES: '/nowhere.json' },
    );
    t.is(written, '-1,-2\n-1,-2\n');
  });
}
