// The answer of a request for many curves: a JSON header, then columns that typed arrays read in
// place (experiments/charts/packing.py).

const KINDS = { f4: Float32Array, f8: Float64Array, u4: Uint32Array };

/** Decode an answer: its header, and `lines` with their columns. */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const column = (place) => {
    if (!place) return null;
    const [offset, count, kind] = place;
    return new KINDS[kind](buffer, start + offset, count);
  };
  header.lines = header.lines.map(([who, name, total, last, columns, marks, added]) => {
    const [x, steps, mean, low, high, count] = columns.map(column);
    return {
      who, name: header.names[name], total, last, added: Boolean(added), x, steps, mean,
      low: low ?? mean, high: high ?? mean, count,
      marks: marks ? { x: column(marks[0]), count: column(marks[1]) } : null,
    };
  });
  return header;
}

/** Return the line with the points of another behind it. */
export function joined(line, more) {
  const put = (name) => {
    const both = new Float64Array(line[name].length + more[name].length);
    both.set(line[name]);
    both.set(more[name], line[name].length);
    return both;
  };
  const marks = [line.marks, more.marks].filter(Boolean);
  return {
    ...line, total: more.total, last: more.last, x: put("x"), mean: put("mean"), low: put("low"),
    high: put("high"), count: put("count"), steps: line.steps && more.steps ? put("steps") : null,
    marks: marks.length
      ? { x: marks.flatMap((some) => [...some.x]), count: marks.flatMap((some) => [...some.count]) }
      : null,
  };
}
