import { createApp } from "vue";
import "@/shared/theme.css";
import "./patient.css";
import { unlock as unlockBell } from "@/rtc/bell";
import { startElder } from "@/shared/elder";
import { startI18n } from "@/shared/i18n";
import { startReasons } from "@/shared/reasons";
import enGates from "@/locales/en/gates.json";
import enPanelroom from "@/locales/en/panelroom.json";
import enPapers from "@/locales/en/papers.json";
import enInterpreter from "@/locales/en/interpreter.json";
import enLobby from "@/locales/en/lobby.json";
import enAssist from "@/locales/en/assist.json";
import enPatient from "@/locales/en/patient.json";
import enShared from "@/locales/en/shared.json";
import zhGates from "@/locales/zh/gates.json";
import enUploads from "@/locales/en/uploads.json";
import zhPanelroom from "@/locales/zh/panelroom.json";
import zhPapers from "@/locales/zh/papers.json";
import zhInterpreter from "@/locales/zh/interpreter.json";
import zhLobby from "@/locales/zh/lobby.json";
import zhAssist from "@/locales/zh/assist.json";
import zhPatient from "@/locales/zh/patient.json";
import zhShared from "@/locales/zh/shared.json";
import zhUploads from "@/locales/zh/uploads.json";
import PatientApp from "./PatientApp.vue";
import { journey } from "./journey";
import { startPrompts } from "./prompts";

startI18n({
  zh: { shared: zhShared, patient: zhPatient, gates: { where: zhGates.where, waiting: zhGates.waiting }, uploads: zhUploads, papers: zhPapers, lobby: zhLobby, assist: zhAssist, panelroom: zhPanelroom, interpreter: zhInterpreter },
  en: { shared: enShared, patient: enPatient, gates: { where: enGates.where, waiting: enGates.waiting }, uploads: enUploads, papers: enPapers, lobby: enLobby, assist: enAssist, panelroom: enPanelroom, interpreter: enInterpreter },
});
startPrompts();
startElder();
startReasons();
document.addEventListener("pointerdown", unlockBell, { passive: true });
document.addEventListener("keydown", unlockBell);
void journey.begin();
createApp(PatientApp).mount("#app");
