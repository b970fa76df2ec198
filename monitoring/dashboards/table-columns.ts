import type { DataTransformerConfig } from '@grafana/grafana-foundation-sdk/dashboard';

/**
 * Joins the answers of several queries by their labels into one table.
 * @param names of the columns, in order: labels as they are called, and `Value #A` for the value of the first query
 * @param hidden columns that are left out
 */
export function mergedColumns(
  names: Readonly<Record<string, string>>,
  hidden: readonly string[] = [],
): DataTransformerConfig[] {
  const order = Object.keys(names);
  return [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...hidden].map((name) => [name, true])),
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
        renameByName: names,
      },
    },
  ];
}

/** Turns one answer into a table with a row for each value of one label, a column for each of another. */
export function matrix(rowField: string, columnField: string): DataTransformerConfig[] {
  return [{ id: 'groupingToMatrix', options: { rowField, columnField, valueField: 'Value', emptyValue: 'null' } }];
}
