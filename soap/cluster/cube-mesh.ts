/** Devices of a cube mesh. */
export const CUBE_MESH_DEVICES = 8;

/**
 * NVLinks between the devices of a DGX-1 with V100, six of each. Source: the topology that NCCL reads there, NVIDIA/nccl#671.
 */
export const CUBE_MESH_LINKS: readonly (readonly [a: number, b: number, links: number])[] = [
  [0, 1, 1],
  [0, 2, 1],
  [0, 3, 2],
  [0, 4, 2],
  [1, 2, 2],
  [1, 3, 1],
  [1, 5, 2],
  [2, 3, 2],
  [2, 6, 1],
  [3, 7, 1],
  [4, 5, 1],
  [4, 6, 1],
  [4, 7, 2],
  [5, 6, 2],
  [5, 7, 1],
  [6, 7, 2],
];
