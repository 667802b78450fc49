import type { Target } from './analysis';

/**
 * Claim R14: branches in which other nodes stand for their devices, each node once, since it does its own digit analysis and
 * rings all of its devices for the number. What a branch falls back on is kept, but for nodes that are asked anyway.
 */
export function tunnelled(branches: readonly (readonly Target[])[], dialled: string): Target[][] {
  const result: Target[][] = [];
  const ofNode = new Map<number, Target[]>();
  const fallbacks: { readonly branch: Target[]; readonly targets: readonly Target[] }[] = [];
  for (const [first, ...targets] of branches) {
    if (first === undefined) continue;
    const known = first.local ? undefined : ofNode.get(first.node);
    const branch = known ?? [first.local ? first : nodeTarget(first, dialled)];
    if (known === undefined) result.push(branch);
    if (!first.local) ofNode.set(first.node, branch);
    fallbacks.push({ branch, targets });
  }
  const asked = new Set(ofNode.keys());
  for (const { branch, targets } of fallbacks)
    for (const target of targets)
      if (target.local) branch.push(target);
      else if (!asked.has(target.node)) {
        asked.add(target.node);
        branch.push(nodeTarget(target, dialled));
      }
  return result;
}

/** How a node is called where the name of a device would stand. */
export function nodeName(node: number): string {
  return `node-${node}`;
}

function nodeTarget({ node, kind }: Target, dialled: string): Target {
  return { pid: undefined, boot: 0, node, local: false, device: nodeName(node), kind, digits: dialled };
}
