import type { PcieGeneration } from './device-types.ts';
import { gibibytes, gigabytesPerSec, teraflops } from './units.ts';

/** What joins the devices of a node beside PCIe. Rates are one direction, per device: vendors add both. */
export type Fabric =
  /** Every device to a switch, at this rate. */
  | { readonly kind: 'switch'; readonly bytesPerSec: number }
  /** So many links of a device, shared out among its peers. */
  | { readonly kind: 'links'; readonly links: number; readonly bytesPerSec: number };

/** A product as node labels name it. */
export interface Product {
  /** In capitals; all of them occur in the product's label. */
  readonly words: readonly string[];
  readonly type: string;
  /** Peak float32 without matrix cores. */
  readonly flopsPerSec: number;
  readonly memoryBandwidthBytesPerSec: number;
  /** Where no label says it. */
  readonly memoryBytes: number;
  readonly pcie: PcieGeneration;
  readonly fabric?: Fabric;
  readonly source: string;
}

type Row = readonly [
  words: string,
  type: string,
  teraflops: number,
  gigabytesPerSec: number,
  gibibytes: number,
  pcie: PcieGeneration,
  fabric: Fabric | undefined,
  source: string,
];

function nvswitch(gigabytes: number): Fabric {
  return { kind: 'switch', bytesPerSec: gigabytesPerSec(gigabytes) };
}

function links(count: number, gigabytes: number): Fabric {
  return { kind: 'links', links: count, bytesPerSec: gigabytesPerSec(gigabytes) };
}

/** NVIDIA's form factors that plug into PCIe have no NVLink, but for bridges between pairs that no label tells of. */
const ROWS: readonly Row[] = [
  [
    'P100 SXM2',
    'P100',
    10.6,
    732,
    16,
    3,
    links(4, 20),
    'NVIDIA Tesla P100 data sheet (SXM2): 4 NVLinks, 160 GB/s both ways',
  ],
  ['P100', 'P100', 9.3, 732, 16, 3, undefined, 'NVIDIA Tesla P100 data sheet (PCIe)'],
  ['K80', 'K80', 2.8, 240, 12, 3, undefined, 'NVIDIA Tesla K80 board specification, one of its two GPUs'],
  ['V100 SXM2', 'V100', 15.7, 900, 16, 3, links(6, 25), 'NVIDIA V100 data sheet (SXM2): 6 NVLinks, 300 GB/s both ways'],
  ['V100 SXM3', 'V100', 15.7, 900, 32, 3, nvswitch(150), 'NVIDIA V100 data sheet (SXM3): 300 GB/s both ways'],
  ['V100', 'V100', 14, 900, 16, 3, undefined, 'NVIDIA V100 data sheet (PCIe)'],
  [
    'A100 SXM4 80GB',
    'A100',
    19.5,
    2039,
    80,
    4,
    nvswitch(300),
    'NVIDIA A100 data sheet (SXM4 80 GB): 600 GB/s both ways',
  ],
  ['A100 SXM4', 'A100', 19.5, 1555, 40, 4, nvswitch(300), 'NVIDIA A100 data sheet (SXM4 40 GB): 600 GB/s both ways'],
  ['A100 80GB', 'A100', 19.5, 1935, 80, 4, undefined, 'NVIDIA A100 data sheet (PCIe 80 GB)'],
  ['A100', 'A100', 19.5, 1555, 40, 4, undefined, 'NVIDIA A100 data sheet (PCIe 40 GB)'],
  ['H100 PCIE', 'H100', 51, 2000, 80, 5, undefined, 'NVIDIA H100 data sheet (PCIe)'],
  ['H100 NVL', 'H100', 60, 3900, 94, 5, undefined, 'NVIDIA H100 data sheet (NVL)'],
  ['H100', 'H100', 67, 3350, 80, 5, nvswitch(450), 'NVIDIA H100 data sheet (SXM5): 900 GB/s both ways'],
  ['H200 NVL', 'H200', 60, 4800, 141, 5, undefined, 'NVIDIA H200 data sheet (NVL)'],
  ['H200', 'H200', 67, 4800, 141, 5, nvswitch(450), 'NVIDIA H200 data sheet (SXM): 900 GB/s both ways'],
  ['GB200', 'GB200', 80, 8000, 173, 5, nvswitch(900), 'NVIDIA GB200 NVL72 data sheet: 1.8 TB/s both ways'],
  ['B200', 'B200', 75, 8000, 180, 5, nvswitch(900), 'NVIDIA DGX B200 data sheet: 1.8 TB/s both ways'],
  ['T4', 'T4', 8.1, 320, 16, 3, undefined, 'NVIDIA T4 data sheet'],
  ['L4', 'L4', 30.3, 300, 24, 4, undefined, 'NVIDIA L4 data sheet'],
  ['L40S', 'L40S', 91.6, 864, 48, 4, undefined, 'NVIDIA L40S data sheet'],
  ['A10G', 'A10G', 35, 600, 24, 4, undefined, 'NVIDIA A10G data sheet'],
  ['A30', 'A30', 10.3, 933, 24, 4, undefined, 'NVIDIA A30 data sheet'],
  ['A40', 'A40', 37.4, 696, 48, 4, undefined, 'NVIDIA A40 data sheet'],
  ['L40', 'L40', 90.5, 864, 48, 4, undefined, 'NVIDIA L40 data sheet'],
  ['A10', 'A10', 31.2, 600, 24, 4, undefined, 'NVIDIA A10 data sheet'],
  [
    'MI300X',
    'MI300X',
    163.4,
    5300,
    192,
    5,
    links(7, 64),
    'AMD Instinct MI300X data sheet: 7 links, 128 GB/s both ways each',
  ],
  ['MAX 1550', 'Max_1550', 52, 3277, 128, 5, undefined, 'Intel Data Center GPU Max 1550 product specifications'],
];

const PRODUCTS: readonly Product[] = ROWS.map(
  ([words, type, flops, memorySpeed, memory, pcie, fabric, source]): Product => ({
    words: words.split(' '),
    type,
    flopsPerSec: teraflops(flops),
    memoryBandwidthBytesPerSec: gigabytesPerSec(memorySpeed),
    memoryBytes: gibibytes(memory),
    pcie,
    ...(fabric === undefined ? {} : { fabric }),
    source,
  }),
);

/**
 * The product of a label such as `NVIDIA-A100-SXM4-40GB`, `AMD_Instinct_MI300X_OAM`, `Max_1550` or `nvidia-h100-80gb`; the
 * first whose words all occur. Undefined where none does.
 */
export function productOf(label: string): Product | undefined {
  const words = new Set(label.toUpperCase().split(/[^A-Z0-9]+/));
  return PRODUCTS.find((product) => product.words.every((word) => words.has(word)));
}
