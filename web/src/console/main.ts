import "@/shared/theme.css";
import "./console.css";
import { createApp } from "vue";
import { startI18n } from "@/shared/i18n";
import { startReasons } from "@/shared/reasons";
import archiveEn from "@/locales/en/archive.json";
import consultEn from "@/locales/en/consult.json";
import consoleEn from "@/locales/en/console.json";
import glanceEn from "@/locales/en/glance.json";
import eventsEn from "@/locales/en/events.json";
import sharedEn from "@/locales/en/shared.json";
import archiveZh from "@/locales/zh/archive.json";
import consultZh from "@/locales/zh/consult.json";
import consoleZh from "@/locales/zh/console.json";
import glanceZh from "@/locales/zh/glance.json";
import eventsZh from "@/locales/zh/events.json";
import sharedZh from "@/locales/zh/shared.json";
import Shell from "./Shell.vue";
import { router } from "./router";

startI18n({
  zh: { shared: sharedZh, console: consoleZh, consult: consultZh, archive: archiveZh, events: eventsZh, glance: glanceZh },
  en: { shared: sharedEn, console: consoleEn, consult: consultEn, archive: archiveEn, events: eventsEn, glance: glanceEn },
});
startReasons();
createApp(Shell).use(router).mount("#app");
