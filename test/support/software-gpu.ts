import { existsSync } from 'node:fs';
import process from 'node:process';
import test from 'ava';
import { FULL_RUN } from './full-run.ts';

/** The software Vulkan device of Debian's chromium; test/kernels/install-vulkan.sh puts it there. */
const ICD = '/usr/lib/chromium/vk_swiftshader_icd.json';
const LOADERS = ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib/aarch64-linux-gnu/libvulkan.so.1'];

const isThere = existsSync(ICD) && LOADERS.some((path) => existsSync(path));
const isNeeded = FULL_RUN && process.platform === 'linux';

if (isThere) {
  // A device of software whatever GPUs there are: the same kernels and the same bits everywhere.
  process.env['VK_ICD_FILENAMES'] = ICD;
  process.env['XDG_RUNTIME_DIR'] ??= '/tmp';
} else {
  console.log(
    `no Vulkan device of software: the tests of WebGPU are left out; run test/kernels/install-vulkan.sh for them`,
  );
}

/** Whether tests of WebGPU run: where all tests are asked for they must. */
export const HAS_SOFTWARE_GPU: boolean = isThere || isNeeded;

/** AVA's test, left out where there is no Vulkan device of software. */
export const onSoftwareGpu: typeof test.serial | typeof test.skip = HAS_SOFTWARE_GPU ? test.serial : test.skip;
