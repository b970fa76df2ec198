import { INSTANCE_TYPE_LABEL } from './labels.ts';

/**
 * Labels by which clouds name A100 and V100 without saying that theirs are boards with NVLink. Sources: Google Cloud, "GPU machine
 * types" (A2: A100 SXM; N1 with V100: NVLink); AWS, "Amazon EC2 P3 instances" (V100, NVLink 300 GB/s) and "P4 instances" (A100,
 * NVSwitch 600 GB/s). Their P100 and what came before are cards in PCIe slots.
 */
const NVLINK_ONLY_LABELS: ReadonlySet<string> = new Set([
  'cloud.google.com/gke-accelerator',
  'karpenter.k8s.aws/instance-gpu-name',
  'eks.amazonaws.com/instance-gpu-name',
]);

/** Azure has both: series ND with boards, NC with cards. Source: Azure, "GPU accelerated virtual machine sizes". */
const AZURE_BOARDS = /^Standard_ND/;

/** The board of a product that there is as a board and as a card, as NVIDIA's own labels say it. */
const BOARDS: readonly (readonly [product: string, board: string])[] = [
  ['A100', 'SXM4'],
  ['V100', 'SXM2'],
];

/** Less than the 81,920 MiB of an A100 with 80 GB, and more than the 40,960 of the other. */
const LARGE_MEBIBYTES = 60_000;

/**
 * A product's name with what it leaves out: the board, where the label or the instance type tells it, and how much memory it has.
 * @param label that the name is the value of
 * @param memoryMebibytes of one device, where it is known
 */
export function wholeName(
  label: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  memoryMebibytes: number | undefined,
): string {
  const words = name.toUpperCase().split(/[^A-Z0-9]+/);
  const isBoard =
    NVLINK_ONLY_LABELS.has(label) || words.includes('NVLINK') || AZURE_BOARDS.test(labels[INSTANCE_TYPE_LABEL] ?? '');
  const board = BOARDS.find(([product]) => words.includes(product));
  if (!isBoard || board === undefined || words.some((word) => word.startsWith('SXM'))) return name;
  const memory = board[0] === 'A100' && (memoryMebibytes ?? 0) > LARGE_MEBIBYTES ? ['80GB'] : [];
  return [name, board[1], ...memory].join('-');
}
