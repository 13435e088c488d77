/** Uploaded papers: their shape, and what both pages offer to choose from. */
export interface Paper {
  id: string; evidence: string | null; kind: "jpeg" | "png" | "pdf"; pages: number; width: number; height: number;
  size: number; sha256: string; added_at: string; added_by: string; url: string;
}

export interface Papers {
  items: Paper[]; limit_mb: number; most: number; open: boolean; proofs: number;
}

export const PHOTOS = "image/jpeg,image/png,image/heic,image/heif";
export const TAKEN = `${PHOTOS},.heic,.heif,application/pdf`;
