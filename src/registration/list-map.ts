/**
 * Several values to a key. Nearly every key has one value only, and that one is kept without a list around it: with a
 * million keys the lists would take more memory than what is in them.
 */
export class ListMap<Value extends object> {
  private readonly values = new Map<string, Value | Several<Value>>();

  /** The values of a key, in the order in which they were added; empty when there are none. */
  get(key: string): readonly Value[] {
    const present = this.values.get(key);
    if (present === undefined) return [];
    return present instanceof Several ? present.list : [present];
  }

  add(key: string, value: Value): void {
    const present = this.values.get(key);
    if (present === undefined) this.values.set(key, value);
    else if (present instanceof Several) present.list.push(value);
    else this.values.set(key, new Several([present, value]));
  }

  remove(key: string, value: Value): void {
    const present = this.values.get(key);
    if (present === value) this.values.delete(key);
    if (!(present instanceof Several)) return;
    const at = present.list.indexOf(value);
    if (at >= 0) present.list.splice(at, 1);
    const [first, second] = present.list;
    if (first === undefined) this.values.delete(key);
    else if (second === undefined) this.values.set(key, first);
  }

  *entries(): IterableIterator<[key: string, values: readonly Value[]]> {
    for (const key of this.values.keys()) yield [key, this.get(key)];
  }
}

class Several<Value> {
  constructor(readonly list: Value[]) {}
}
