/**
 * Network bandwidth of a whole instance, gigabits per second each way, by the value of `node.kubernetes.io/instance-type`, and
 * whether adapters reach each other's memory (EFA of the P and Trn families, RoCE, InfiniBand). "Up to" figures, which are bursts,
 * are left out.
 * Sources: AWS: EC2's DescribeInstanceTypes, as Karpenter's `zz_generated.bandwidth.go` has it (aws/karpenter-provider-aws,
 * commit 01a436f0), in megabits per second. Google Cloud: "GPU machine types" (A3 High 4 x 200 + 200, A3 Mega 8 x 200 + 200,
 * A3 Ultra and A4 8 x 400 + 2 x 200). Azure: "GPU accelerated virtual machine sizes", InfiniBand alone: ND A100 v4 8 x 200,
 * ND H100 v5 8 x 400, ND GB200 v6 4 x 400. OCI: "Compute shapes", cluster network alone.
 */
const INSTANCE_GIGABITS: Readonly<Record<string, readonly [gigabits: number, rdma: boolean]>> = {
  'p3.8xlarge': [10, false],
  'p3.16xlarge': [25, false],
  'p3dn.24xlarge': [100, false],
  'p4d.24xlarge': [400, true],
  'p4de.24xlarge': [400, true],
  'p5.4xlarge': [100, true],
  'p5.48xlarge': [3200, true],
  'p5e.48xlarge': [3200, true],
  'p5en.48xlarge': [3200, true],
  'p6-b200.48xlarge': [3200, true],
  'p6-b300.48xlarge': [6400, true],
  'p6e-gb200.36xlarge': [3200, true],
  'g4dn.8xlarge': [50, false],
  'g4dn.12xlarge': [50, false],
  'g4dn.16xlarge': [50, false],
  'g4dn.metal': [100, false],
  'g5.8xlarge': [25, false],
  'g5.12xlarge': [40, false],
  'g5.16xlarge': [25, false],
  'g5.24xlarge': [50, false],
  'g5.48xlarge': [100, false],
  'g6.8xlarge': [25, false],
  'g6.12xlarge': [40, false],
  'g6.16xlarge': [25, false],
  'g6.24xlarge': [50, false],
  'g6.48xlarge': [100, false],
  'g6e.8xlarge': [25, false],
  'g6e.12xlarge': [100, false],
  'g6e.16xlarge': [35, false],
  'g6e.24xlarge': [200, false],
  'g6e.48xlarge': [400, false],
  'a2-highgpu-8g': [100, false],
  'a3-highgpu-8g': [1000, false],
  'a3-megagpu-8g': [1800, false],
  'a3-ultragpu-8g': [3600, true],
  'a4-highgpu-8g': [3600, true],
  Standard_ND96asr_v4: [1600, true],
  Standard_ND96amsr_A100_v4: [1600, true],
  Standard_ND96isr_H100_v5: [3200, true],
  Standard_ND96isr_H200_v5: [3200, true],
  Standard_ND128isr_NDR_GB200_v6: [1600, true],
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
