// The page of one or several scans with what is drawn on them. Everything comes from the element #scene-data; nothing is fetched.
"use strict";
(async () => {
  const find = (id) => document.getElementById(id);
  const cases = JSON.parse(find("scene-data").textContent);
  const { Niivue, NVImage, NVMesh } = globalThis.niivue;
  const viewer = new Niivue({
    backColor: [0, 0, 0, 1], isRadiologicalConvention: true, dragAndDropEnabled: false, isColorbar: false, loadingText: "",
    logLevel: "silent", multiplanarShowRender: 1, crosshairWidth: 0.3, crosshairColor: [0.5, 0.75, 1, 0.7], meshXRay: 0.1, meshThicknessOn2D: 2,
  });
  const heatColours = { R: [20, 98, 188, 240, 252, 252], G: [4, 16, 40, 106, 190, 252], B: [40, 110, 84, 34, 60, 200],
    A: [0, 255, 255, 255, 255, 255], I: [0, 51, 102, 153, 204, 255] };
  let shown = {};

  const number = (id) => Number(find(id).value);
  const has = (kind) => shown[kind] !== undefined;

  async function open(entry) {
    for (const mesh of [...viewer.meshes]) viewer.removeMesh(mesh);
    for (const volume of [...viewer.volumes].reverse()) viewer.removeVolume(volume);
    shown = {};
    for (const layer of entry.layers) {
      if (layer.kind === "mesh") {
        const mesh = await NVMesh.prototype.loadFromBase64.call(null, { base64: layer.data, gl: viewer.gl, name: layer.file, rgba255: [224, 160, 96, 255] });
        viewer.addMesh(mesh);
        shown.mesh = { mesh };
        continue;
      }
      const colormap = layer.kind === "heat" ? "osler-heat" : "gray";
      const range = layer.labels.length ? [0, layer.labels.length] : layer.kind === "heat" ? [0, 255] : layer.range;
      const image = await NVImage.loadFromBase64({ base64: layer.data, name: layer.file, colormap, cal_min: range[0], cal_max: range[1] });
      if (layer.labels.length) image.setColormapLabel(coloursOf(layer.labels));
      viewer.addVolume(image);
      shown[layer.kind] = { image, place: viewer.volumes.length - 1, range };
    }
    for (const kind of ["mask", "answer", "heat", "mesh"]) {
      for (const line of document.querySelectorAll(".of-" + kind)) line.classList.toggle("hidden", !has(kind));
    }
    describe(entry);
    views(entry.flat);
    viewer.scene.crosshairPos = entry.at;
    change();
  }

  function coloursOf(labels) {
    const part = (i) => [0, ...labels.map((label) => label.colour[i])];
    return { R: part(0), G: part(1), B: part(2), A: [0, ...labels.map(() => 255)], I: [0, ...labels.map((_, i) => i + 1)], labels: ["", ...labels.map((label) => label.name)] };
  }

  function describe(entry) {
    find("words").textContent = entry.words;
    find("legend").replaceChildren(...entry.layers.flatMap((layer) => {
      const lines = layer.labels.length ? layer.labels.filter((label) => label.name) : [{ name: layer.words }];
      return lines.flatMap((line) => {
        const colour = document.createElement("dt"), name = document.createElement("dd");
        colour.className = layer.kind;
        if (line.colour) colour.style.backgroundColor = `rgb(${line.colour.join(",")})`;
        name.textContent = line.name;
        return [colour, name];
      });
    }));
  }

  function views(flat) {
    const known = flat ? [["axial", "picture"]] : [["multiplanar", "all three"], ["axial", "axial"], ["coronal", "coronal"], ["sagittal", "sagittal"], ["render", "in space"]];
    find("view").replaceChildren(...known.map(([value, words]) => new Option(words, value)));
  }

  function change() {
    const view = find("view").value;
    const type = { multiplanar: viewer.sliceTypeMultiplanar, axial: viewer.sliceTypeAxial, coronal: viewer.sliceTypeCoronal,
      sagittal: viewer.sliceTypeSagittal, render: viewer.sliceTypeRender }[view];
    viewer.setSliceType(type);
    find("along").classList.toggle("hidden", view === "render" || find("view").options.length === 1);
    document.querySelector(".of-render").classList.toggle("hidden", view !== "render" && view !== "multiplanar");
    find("slice").value = viewer.scene.crosshairPos[axis()];
    if (has("scan")) {
      const [low, high] = shown.scan.range;
      shown.scan.image.cal_min = low + (high - low) * Math.min(number("low"), number("high") - 0.01);
      shown.scan.image.cal_max = low + (high - low) * number("high");
    }
    for (const kind of ["mask", "answer"]) if (has(kind)) viewer.setOpacity(shown[kind].place, number(kind));
    if (has("heat")) {
      shown.heat.image.cal_min = 255 * number("threshold");
      viewer.setOpacity(shown.heat.place, number("heat"));
    }
    if (has("mesh")) viewer.setMeshProperty(shown.mesh.mesh.id, "opacity", number("mesh"));
    viewer.setClipPlane([number("cut") === 0 ? 2 : 0.5 - number("cut"), 270, 0]);
    viewer.updateGLVolume();
  }

  function axis() {
    return { coronal: 1, sagittal: 0 }[find("view").value] ?? 2;
  }

  function leaf() {
    viewer.scene.crosshairPos[axis()] = number("slice");
    viewer.drawScene();
    viewer.createOnLocationChange();
  }

  try {
    viewer.onLocationChange = (place) => {
      find("where").textContent = place.string;
      find("slice").value = viewer.scene.crosshairPos[axis()];
    };
    viewer.addColormap("osler-heat", heatColours);
    await viewer.attachToCanvas(find("scene"));
    viewer.setMultiplanarLayout(2);
    viewer.setClipPlaneColor([0, 0, 0, 0]);
    find("choice").hidden = cases.length < 2;
    find("case").replaceChildren(...cases.map((entry, i) => new Option(entry.name, i)));
    find("case").addEventListener("change", () => open(cases[number("case")]));
    find("slice").addEventListener("input", leaf);
    for (const id of ["view", "low", "high", "mask", "answer", "heat", "threshold", "mesh", "cut"]) find(id).addEventListener("input", change);
    find("controls").addEventListener("submit", (event) => event.preventDefault());
    await open(cases[0]);
    find("state").textContent = "ready";
    document.documentElement.dataset.state = "ready";
  } catch (error) {
    find("state").textContent = "This browser cannot show scans: WebGL 2 is needed (" + error.message + ").";
    find("state").className = "failed";
    document.documentElement.dataset.state = "failed";
  }
})();
