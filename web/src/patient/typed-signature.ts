/** The image of a signature made with the keyboard: the typed name, as a PNG data URL. */
export function typedSignature(name: string): string {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 200;
  const brush = canvas.getContext("2d");
  if (!brush) return "";
  brush.fillStyle = "#ffffff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.fillStyle = "#12201d";
  brush.textAlign = "center";
  brush.textBaseline = "middle";
  brush.font = "72px serif";
  brush.fillText(name, canvas.width / 2, canvas.height / 2, canvas.width - 40);
  return canvas.toDataURL("image/png");
}
