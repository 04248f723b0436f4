// The rows of a snapshot, which come field by field: of each vmid how much more it is than the one before, memory and disk in MiB.
const MIB = 1024 * 1024;
const IN_MIB = ["mem", "disk"];

export function rowsOf(columns) {
  const names = Object.keys(columns);
  let vmid = 0;
  return (columns.vmid || []).map((step, at) => {
    const row = {};
    for (const name of names) row[name] = columns[name][at];
    row.vmid = vmid += step;
    for (const name of IN_MIB) row[name] *= MIB;
    return row;
  });
}
