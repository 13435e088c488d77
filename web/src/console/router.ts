/** Addresses of the console and who may see each; the server decides again on every request. */
import { createRouter, createWebHistory, type RouteRecordRaw } from "vue-router";
import { holds, refreshSession, session } from "./session";
import type { IconName } from "@/shared/components/icons";
import type { Role } from "./types";

declare module "vue-router" {
  interface RouteMeta {
    /** Key of the rail entry and the page title in console:nav.* */
    title: string;
    icon?: IconName;
    roles?: Role[];
    rail?: boolean;
  }
}

const CLINICIANS: Role[] = ["attending", "inviting", "expert", "chair", "nurse"];
const RECORDS: Role[] = ["archivist", "approver"];

export const routes: RouteRecordRaw[] = [
  { path: "/console/login", name: "login", component: () => import("./pages/LoginPage.vue"), meta: { title: "login" } },
  {
    path: "/console/today", name: "today", component: () => import("./pages/TodayPage.vue"),
    meta: { title: "today", icon: "calendar", roles: CLINICIANS, rail: true },
  },
  {
    path: "/console/queue", name: "queue", component: () => import("./pages/QueuePage.vue"),
    meta: { title: "queue", icon: "bell", roles: ["attending", "inviting", "nurse"], rail: true },
  },
  {
    path: "/console/slots", name: "slots", component: () => import("./pages/SlotsPage.vue"),
    meta: { title: "slots", icon: "clock", roles: ["attending", "inviting", "nurse", "admin"], rail: true },
  },
  {
    path: "/console/outbox", name: "outbox", component: () => import("./pages/OutboxPage.vue"),
    meta: { title: "outbox", icon: "chat", roles: ["attending", "inviting", "nurse"], rail: true },
  },
  {
    path: "/console/consults", name: "consults", component: () => import("./pages/ConsultsPage.vue"),
    meta: { title: "consults", icon: "file", roles: CLINICIANS, rail: true },
  },
  {
    path: "/console/consults/new", name: "book", component: () => import("./pages/BookPage.vue"),
    meta: { title: "book", icon: "plus", roles: ["attending", "inviting", "nurse"], rail: true },
  },
  {
    path: "/console/consults/:id", name: "consult", component: () => import("./pages/ConsultPage.vue"), props: true,
    meta: { title: "consult", roles: CLINICIANS },
  },
  {
    path: "/console/consults/:id/request", name: "request", component: () => import("./pages/RequestPage.vue"), props: true,
    meta: { title: "request", roles: ["inviting"] },
  },
  {
    path: "/console/requests", name: "requests", component: () => import("./pages/RequestsPage.vue"),
    meta: { title: "requests", icon: "bell", roles: ["coordinator"], rail: true },
  },
  {
    path: "/console/calendar", name: "calendar", component: () => import("./pages/CalendarPage.vue"),
    meta: { title: "calendar", icon: "calendar", roles: ["coordinator", "inviting", "expert", "chair"], rail: true },
  },
  {
    path: "/console/archive", name: "archive", component: () => import("./pages/ArchivePage.vue"),
    meta: { title: "archive", icon: "archive", roles: RECORDS, rail: true },
  },
  {
    path: "/console/archive/:id", name: "recording", component: () => import("./pages/RecordingPage.vue"), props: true,
    meta: { title: "recording", roles: [...RECORDS, "regulator", "attending", "inviting", "expert", "chair"] },
  },
  {
    path: "/console/copies", name: "copies", component: () => import("./pages/CopiesPage.vue"),
    meta: { title: "copies", icon: "copy", roles: RECORDS, rail: true },
  },
  {
    path: "/console/follow-ups", name: "follow_ups", component: () => import("./pages/FollowUpsPage.vue"),
    meta: { title: "follow_ups", icon: "check", roles: [...CLINICIANS, "coordinator"], rail: true },
  },
  {
    path: "/console/access", name: "access", component: () => import("./pages/AccessPage.vue"),
    meta: { title: "access", icon: "lock", roles: RECORDS, rail: true },
  },
  {
    path: "/console/emergency", name: "emergency", component: () => import("./pages/EmergencyPage.vue"),
    meta: { title: "emergency", icon: "warn", roles: ["approver"], rail: true },
  },
  {
    path: "/console/retention", name: "retention", component: () => import("./pages/RetentionPage.vue"),
    meta: { title: "retention", icon: "clock", roles: RECORDS, rail: true },
  },
  {
    path: "/console/disposals", name: "disposals", component: () => import("./pages/DisposalsPage.vue"),
    meta: { title: "disposals", icon: "stop", roles: RECORDS, rail: true },
  },
  {
    path: "/console/regulator", name: "regulator", component: () => import("./pages/RegulatorPage.vue"),
    meta: { title: "regulator", icon: "eye", roles: ["regulator", "approver"], rail: true },
  },
  {
    path: "/console/audit", name: "audit", component: () => import("./pages/AuditPage.vue"),
    meta: { title: "audit", icon: "shield", roles: ["archivist", "approver", "auditor", "admin"], rail: true },
  },
  {
    path: "/console/templates", name: "templates", component: () => import("./pages/TemplatesPage.vue"),
    meta: { title: "templates", icon: "text", roles: ["archivist", "approver", "admin"], rail: true },
  },
  {
    path: "/console/staff", name: "staff", component: () => import("./pages/StaffPage.vue"),
    meta: { title: "staff", icon: "users", roles: ["admin"], rail: true },
  },
  {
    path: "/console/patients", name: "patients", component: () => import("./pages/PatientsPage.vue"),
    meta: { title: "patients", icon: "user", roles: ["admin", "nurse", "attending", "inviting"], rail: true },
  },
  {
    path: "/console/institution", name: "institution", component: () => import("./pages/InstitutionPage.vue"),
    meta: { title: "institution", icon: "gear", roles: ["admin"], rail: true },
  },
  {
    path: "/console/policies", name: "policies", component: () => import("./pages/PoliciesPage.vue"),
    meta: { title: "policies", icon: "record", roles: ["admin"], rail: true },
  },
  {
    path: "/console/statistics", name: "statistics", component: () => import("./pages/StatisticsPage.vue"),
    meta: { title: "statistics", icon: "network", roles: ["coordinator", "admin"], rail: true },
  },
  {
    path: "/console/directory", name: "directory", component: () => import("./pages/DirectoryPage.vue"),
    meta: { title: "directory", icon: "search", roles: ["coordinator", "admin", "inviting"], rail: true },
  },
  {
    path: "/console/agreements", name: "agreements", component: () => import("./pages/AgreementsPage.vue"),
    meta: { title: "agreements", icon: "pen", roles: ["coordinator", "admin", "inviting"], rail: true },
  },
  { path: "/:rest(.*)*", redirect: () => home() },
];

/** The page a person starts on: the first rail entry their roles open. */
export function home(): string {
  const first = routes.find((route) => route.meta?.rail && holds(...(route.meta.roles ?? [])));
  return typeof first?.path === "string" ? first.path : "/console/login";
}

export const router = createRouter({ history: createWebHistory(), routes });

router.beforeEach(async (to) => {
  if (!session.value) await refreshSession();
  if (!session.value) return to.name === "login" ? true : { name: "login", query: { next: to.fullPath } };
  if (to.name === "login") return home();
  if (to.meta.roles && !holds(...to.meta.roles)) return home();
  return true;
});
