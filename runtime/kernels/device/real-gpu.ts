import process from 'node:process';
import { loadNative } from '../native-library.ts';

/**
 * Layouts and numbers of Vulkan 1.0. Source: https://registry.khronos.org/vulkan/specs/1.0/html/,
 * VkInstanceCreateInfo, VkPhysicalDeviceProperties, VkPhysicalDeviceType.
 */
const INSTANCE_CREATE_INFO = { bytes: 64, structureType: 1 };
const DEVICE_PROPERTIES = { bytes: 824, typeOffset: 16 };
const GPU_TYPES = new Set([1, 2, 3]); // integrated, discrete, virtual; 4 is a CPU
const SUCCESS = 0;

/**
 * Whether WebGPU would find a GPU: on Linux a Vulkan device that is not software; elsewhere the system always has a driver, so it
 * is for WebGPU to say.
 */
export function hasRealGpu(): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return vulkanDeviceTypes().some((type) => GPU_TYPES.has(type));
  } catch {
    // There is no loader of Vulkan, so there is no WebGPU either.
    return false;
  }
}

function vulkanDeviceTypes(): number[] {
  const vulkan = loadNative('libvulkan.so.1');
  const create = vulkan.func('int vkCreateInstance(void* info, void* allocator, void* instance)');
  const list = vulkan.func('int vkEnumeratePhysicalDevices(void* instance, void* count, void* devices)');
  const describe = vulkan.func('void vkGetPhysicalDeviceProperties(void* device, void* properties)');
  const destroy = vulkan.func('void vkDestroyInstance(void* instance, void* allocator)');
  const info = new Uint32Array(INSTANCE_CREATE_INFO.bytes / 4);
  info[0] = INSTANCE_CREATE_INFO.structureType;
  const instance = new BigUint64Array(1);
  if (create(info, null, instance) !== SUCCESS) return [];
  try {
    const count = new Uint32Array(1);
    if (list(instance[0], count, null) !== SUCCESS) return [];
    const devices = new BigUint64Array(Number(count[0]));
    if (list(instance[0], count, devices) !== SUCCESS) return [];
    return Array.from(devices, (device) => {
      const properties = new Uint32Array(DEVICE_PROPERTIES.bytes / 4);
      describe(device, properties);
      return properties[DEVICE_PROPERTIES.typeOffset / 4]!;
    });
  } finally {
    destroy(instance[0], null);
  }
}
