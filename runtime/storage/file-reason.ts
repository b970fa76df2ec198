/** Why a file cannot be read, in words where the system's are not. @param error of reading it */
export function fileReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  switch ('code' in error ? error.code : undefined) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EISDIR':
      return 'that is a folder, not a file';
    case 'EACCES':
      return 'this user may not read it';
    default:
      return error.message;
  }
}
