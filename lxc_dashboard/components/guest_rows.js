// The rows of a snapshot or patch, sent as one list a field: vmid as the difference to the one before, memory and disk in MiB,
// null if the row does not have the field.
const MIB = 1024 * 1024;
const IN_MIB = ["mem", "disk"];

export function rowsOf(columns) {
  const names = Object.keys(columns);
  let vmid = 0;
  return (columns.vmid || []).map((step, at) => {
    const row = {};
    for (const name of names) {
      const value = columns[name][at];
      if (value !== null) row[name] = IN_MIB.includes(name) ? value * MIB : value;
    }
    row.vmid = vmid += step;
    return row;
  });
}

// The changed rows of a patch, packed or not: [vmid, fields].
export async function changesOf(patch) {
  if (!patch.packed) return Object.entries(patch.rows || {});
  const bytes = Uint8Array.from(atob(patch.packed), (char) => char.charCodeAt(0));
  const columns = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  return rowsOf(columns).map((row) => [String(row.vmid), row]);
}
