/** Which application connections want new requests of a method: a list for each verb, served in turn. */
export class RouteTable<Application> {
  private readonly verbs = new Map<string, { applications: Application[]; next: number }>();

  /** Verbs match the lower-case method. Asking twice is the same as asking once. */
  add(verb: string, application: Application): void {
    const entry = this.verbs.get(verb);
    if (entry === undefined) this.verbs.set(verb, { applications: [application], next: 0 });
    else if (!entry.applications.includes(application)) entry.applications.push(application);
  }

  remove(verb: string, application: Application): void {
    const entry = this.verbs.get(verb);
    if (entry === undefined) return;
    const index = entry.applications.indexOf(application);
    if (index < 0) return;
    entry.applications.splice(index, 1);
    if (index < entry.next) entry.next -= 1;
    if (entry.applications.length === 0) this.verbs.delete(verb);
  }

  removeAll(application: Application): void {
    for (const verb of [...this.verbs.keys()]) this.remove(verb, application);
  }

  /**
   * The next connection in turn that `accepts`. `none`: nobody asked for the verb; `busy`: those who did do not accept.
   */
  pick(verb: string, accepts: (application: Application) => boolean): Application | 'none' | 'busy' {
    const entry = this.verbs.get(verb);
    if (entry === undefined) return 'none';
    const count = entry.applications.length;
    for (let tried = 0; tried < count; tried += 1) {
      const index = (entry.next + tried) % count;
      const application = entry.applications[index];
      if (application === undefined || !accepts(application)) continue;
      entry.next = (index + 1) % count;
      return application;
    }
    return 'busy';
  }
}
