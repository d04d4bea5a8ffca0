import type { Tags } from '#domain/member.ts';

/** The tags of a member by the names that Patroni has for them. */
function patroniTags({ nofailover, priority, nosync, clonefrom }: Tags): Readonly<Record<string, boolean | number>> {
  return { nofailover, failover_priority: priority, nosync, clonefrom };
}

const ORDINARY: Readonly<Record<string, boolean | number>> = {
  nofailover: false,
  failover_priority: 50,
  nosync: false,
  clonefrom: false,
};

/** Those that say something: Patroni shows no tag that is at its default. */
export function shownTags(tags: Tags): Readonly<Record<string, boolean | number>> {
  return Object.fromEntries(Object.entries(patroniTags(tags)).filter(([name, value]) => ORDINARY[name] !== value));
}

/** Do all `tag_NAME=VALUE` of the query hold? A tag that there is not holds for no value. */
export function tagsMatch(query: URLSearchParams, tags: Tags): boolean {
  const known = patroniTags(tags);
  return [...query].every(([key, wanted]) => {
    if (!key.startsWith('tag_')) return true;
    const name = key.slice('tag_'.length);
    return Object.hasOwn(known, name) && String(known[name]) === wanted;
  });
}
