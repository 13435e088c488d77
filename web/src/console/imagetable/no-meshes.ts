/** Instead of vtk.js' readers of surface meshes (and the XML library they bring): cornerstone names them, nothing here has a mesh. */
export default {
  newInstance(): never {
    throw new Error("no meshes here");
  },
};
