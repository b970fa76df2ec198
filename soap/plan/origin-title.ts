const TITLES: Readonly<Record<string, string>> = {
  data: 'data parallel',
  model: 'model parallel',
  expert: 'expert',
  optcnn: 'OptCNN',
  fewer: 'fewer devices',
  exact: 'exact search',
  single: 'one device',
};

/** What people call a baseline, or where a plan is from. Browsers load this file too, so it imports nothing. */
export function originTitle(origin: string): string {
  return TITLES[origin] ?? origin;
}
