/** Names of houses and people by the language of the page; the Chinese one where there is no other. */
export function nameIn(english: boolean, name: string, name_en?: string | null): string {
  return english && name_en ? name_en : name;
}
