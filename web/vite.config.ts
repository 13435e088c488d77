import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The pages are served under a CSP without 'unsafe-inline' and without 'unsafe-eval': nothing may be inlined.
export default defineConfig({
  base: "/static/",
  root: here("."),
  plugins: [vue()],
  resolve: { alias: { "@": here("./src") } },
  define: {
    __VUE_OPTIONS_API__: JSON.stringify(true), // vue-router's own components
    __VUE_PROD_DEVTOOLS__: JSON.stringify(false),
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: JSON.stringify(false),
  },
  build: {
    outDir: here("../huizhen/static"),
    emptyOutDir: true,
    target: ["es2020", "chrome84", "safari14", "firefox91"],
    cssTarget: ["chrome84", "safari14", "firefox91"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: true },
    sourcemap: false,
    rollupOptions: { input: { patient: here("patient.html"), console: here("console.html"), check: here("check.html") } },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.ts"],
    restoreMocks: true,
  },
});
