import { userInfo } from 'node:os';
import { findUser, type ServerUser } from './server-user.ts';

/**
 * The users as whom an agent and what it starts connect to their server through its socket, by the names that the machine's name service
 * gives them, as PostgreSQL asks it too. Empty where one of them has no name there.
 */
export async function socketUsers(runAs: ServerUser | undefined): Promise<readonly string[]> {
  let own: string;
  try {
    own = userInfo().username;
  } catch {
    return [];
  }
  if (runAs === undefined) return [own];
  const found = await findUser(runAs.user);
  return found?.uid === runAs.uid ? [own, runAs.user] : [];
}
