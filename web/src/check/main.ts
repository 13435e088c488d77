import { createApp } from "vue";
import "@/shared/theme.css";
import { startI18n } from "@/shared/i18n";
import { startReasons } from "@/shared/reasons";
import enCheck from "@/locales/en/check.json";
import enShared from "@/locales/en/shared.json";
import zhCheck from "@/locales/zh/check.json";
import zhShared from "@/locales/zh/shared.json";
import CheckPaper from "./CheckPaper.vue";

startI18n({ zh: { shared: zhShared, check: zhCheck }, en: { shared: enShared, check: enCheck } });
startReasons();
createApp(CheckPaper).mount("#app");
