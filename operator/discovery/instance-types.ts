/**
 * Network bandwidth of a whole instance, gigabits per second each way, by the value of `node.kubernetes.io/instance-type`.
 * Sources: AWS "Specifications for Amazon EC2 accelerated computing instances"; Google Cloud "GPU machine types"; Azure "GPU
 * accelerated virtual machine sizes"; OCI "Compute shapes".
 */
const INSTANCE_GIGABITS: Readonly<Record<string, readonly [gigabits: number, rdma: boolean]>> = {
  'p3dn.24xlarge': [100, false],
  'p4d.24xlarge': [400, true],
  'p4de.24xlarge': [400, true],
  'p5.48xlarge': [3200, true],
  'p5e.48xlarge': [3200, true],
  'p5en.48xlarge': [3200, true],
  'p6-b200.48xlarge': [3200, true],
  'g5.48xlarge': [100, false],
  'g6.48xlarge': [100, false],
  'a2-highgpu-8g': [100, false],
  'a3-highgpu-8g': [1000, false],
  'a3-megagpu-8g': [1800, false],
  'a3-ultragpu-8g': [3600, true],
  'a4-highgpu-8g': [3600, true],
  Standard_ND96asr_v4: [1600, true],
  Standard_ND96amsr_A100_v4: [1600, true],
  Standard_ND96isr_H100_v5: [3200, true],
  'BM.GPU4.8': [1600, true],
  'BM.GPU.A100-v2.8': [1600, true],
  'BM.GPU.H100.8': [3200, true],
};

/** What an instance type's network carries, or undefined where the table lacks it. */
export function instanceNetwork(type: string | undefined): { gigabits: number; rdma: boolean } | undefined {
  if (type === undefined || !Object.hasOwn(INSTANCE_GIGABITS, type)) return undefined;
  const [gigabits, rdma] = INSTANCE_GIGABITS[type]!;
  return { gigabits, rdma };
}
