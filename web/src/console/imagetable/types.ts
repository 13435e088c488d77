/** REST shapes of the image table (huizhen/api/shapes/images.py). */
import type { TableMeasurement } from "@/rtc/messages.gen";

export interface SeriesView {
  uid: string; modality: string; number: number; description: string; instances: number; frames: number;
  kinds: ("image" | "slide" | "waveform" | "paper" | "photo")[]; url: string;
}
export interface StudyView {
  id: string; uid: string; day: string; description: string; identity: "matches" | "differs" | "absent" | "confirmed";
  differs: ("name" | "id" | "birth_date" | "sex")[]; added_at: string; added_by: string; series: SeriesView[];
}
export interface Images { studies: StudyView[]; open: boolean; limit_mb: number }
export interface Findings { id: string | null; version: number; sha256: string; saved_at: string | null; saved_by: string; measurements: TableMeasurement[] }
