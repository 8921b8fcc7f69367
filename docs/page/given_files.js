// The files that somebody has chosen or dropped, as a list of { path, file }.

/** Of a file picker; a folder's files have paths that begin with its name. */
export function picked(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Of a drop, which may hold folders. Several loose files are taken for the parts of one model. */
export async function dropped(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return picked(transfer.files);
  const found = (await Promise.all(roots.map(filesBelow))).flat();
  if (roots.length === 1) return found;
  return found.map(({ path, file }) => ({ path: `model/${path}`, file }));
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break; // a folder is listed a hundred entries at a time
    children.push(...some);
  }
  return (await Promise.all(children.map(filesBelow))).flat();
}
