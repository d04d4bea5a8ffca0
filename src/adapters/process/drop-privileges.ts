/**
 * Becomes another user for good. Programs beside the server call it after their modules are loaded: the folder of the program (below
 * /root, say) need not be open to the server's user, only the server's own folder.
 */
export function dropPrivileges(to: { readonly uid: number; readonly gid: number } | null): void {
  if (to === null || process.getuid?.() !== 0) return;
  process.setgroups?.([to.gid]);
  process.setgid?.(to.gid);
  process.setuid?.(to.uid);
}
