import "@/shared/theme.css";
import "./console.css";
import { createApp } from "vue";
import { startI18n } from "@/shared/i18n";
import { startReasons } from "@/shared/reasons";
import actsEn from "@/locales/en/acts.json";
import archiveEn from "@/locales/en/archive.json";
import consultEn from "@/locales/en/consult.json";
import consoleEn from "@/locales/en/console.json";
import glanceEn from "@/locales/en/glance.json";
import eventsEn from "@/locales/en/events.json";
import outcomeEn from "@/locales/en/outcome.json";
import gatesEn from "@/locales/en/gates.json";
import interpreterEn from "@/locales/en/interpreter.json";
import imagesEn from "@/locales/en/images.json";
import policyEn from "@/locales/en/policy.json";
import partiesEn from "@/locales/en/parties.json";
import requestsEn from "@/locales/en/requests.json";
import panelroomEn from "@/locales/en/panelroom.json";
import papersEn from "@/locales/en/papers.json";
import sharedEn from "@/locales/en/shared.json";
import sourcesEn from "@/locales/en/sources.json";
import uploadsEn from "@/locales/en/uploads.json";
import templatesEn from "@/locales/en/templates.json";
import waitingEn from "@/locales/en/waiting.json";
import copiesEn from "@/locales/en/copies.json";
import writtenEn from "@/locales/en/written.json";
import actsZh from "@/locales/zh/acts.json";
import archiveZh from "@/locales/zh/archive.json";
import consultZh from "@/locales/zh/consult.json";
import consoleZh from "@/locales/zh/console.json";
import glanceZh from "@/locales/zh/glance.json";
import eventsZh from "@/locales/zh/events.json";
import outcomeZh from "@/locales/zh/outcome.json";
import gatesZh from "@/locales/zh/gates.json";
import interpreterZh from "@/locales/zh/interpreter.json";
import imagesZh from "@/locales/zh/images.json";
import policyZh from "@/locales/zh/policy.json";
import partiesZh from "@/locales/zh/parties.json";
import requestsZh from "@/locales/zh/requests.json";
import panelroomZh from "@/locales/zh/panelroom.json";
import papersZh from "@/locales/zh/papers.json";
import sharedZh from "@/locales/zh/shared.json";
import sourcesZh from "@/locales/zh/sources.json";
import uploadsZh from "@/locales/zh/uploads.json";
import templatesZh from "@/locales/zh/templates.json";
import waitingZh from "@/locales/zh/waiting.json";
import copiesZh from "@/locales/zh/copies.json";
import writtenZh from "@/locales/zh/written.json";
import Shell from "./Shell.vue";
import { router } from "./router";

startI18n({
  zh: {
    shared: sharedZh, console: consoleZh, consult: consultZh, archive: archiveZh, events: eventsZh, gates: gatesZh, uploads: uploadsZh, templates: templatesZh, papers: papersZh, waiting: waitingZh, glance: glanceZh, policy: policyZh, parties: partiesZh, requests: requestsZh, acts: actsZh, panelroom: panelroomZh, written: writtenZh, images: imagesZh, outcome: outcomeZh, sources: sourcesZh, copies: copiesZh, interpreter: interpreterZh,
  },
  en: {
    shared: sharedEn, console: consoleEn, consult: consultEn, archive: archiveEn, events: eventsEn, gates: gatesEn, uploads: uploadsEn, templates: templatesEn, papers: papersEn, waiting: waitingEn, glance: glanceEn, policy: policyEn, parties: partiesEn, requests: requestsEn, acts: actsEn, panelroom: panelroomEn, written: writtenEn, images: imagesEn, outcome: outcomeEn, sources: sourcesEn, copies: copiesEn, interpreter: interpreterEn,
  },
});
startReasons();
createApp(Shell).use(router).mount("#app");
