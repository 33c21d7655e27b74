"""What each measured feature is called, its unit and its code in the IBSI reference manual (empty where IBSI has none)."""

from __future__ import annotations

#: Feature → (unit, IBSI code, meaning).
SHAPE: dict[str, tuple[str, str, str]] = {
    "voxels": ("", "", "voxels of the region"),
    "components": ("", "", "parts that do not touch, corners counted as touching"),
    "volume_mm3": ("mm³", "RNU0", "volume inside the marching-cubes surface"),
    "volume_error_mm3": ("mm³", "", "what the volume changes by if the whole boundary lies half a voxel farther out or in"),
    "volume_voxels_mm3": ("mm³", "YEKZ", "number of voxels times the volume of one"),
    "surface_area_mm2": ("mm²", "C0JK", "area of the marching-cubes surface"),
    "surface_volume_ratio_per_mm": ("1/mm", "2PR5", "surface area over volume"),
    "sphericity": ("", "QCFX", "area of a ball of the same volume over the area; 1 for a ball"),
    "asphericity": ("", "25C7", "1 / sphericity - 1; 0 for a ball"),
    "spherical_disproportion": ("", "KRCK", "1 / sphericity"),
    "compactness_1": ("", "SKGS", "volume over the root of pi times area to 3/2"),
    "compactness_2": ("", "BQWJ", "the third power of sphericity"),
    "diameter_3d_mm": ("mm", "L0JK", "largest distance between two vertices of the surface"),
    "diameter_xy_mm": ("mm", "", "the same within one plane of columns and rows (a slice)"),
    "diameter_xz_mm": ("mm", "", "the same within one plane of columns and slices"),
    "diameter_yz_mm": ("mm", "", "the same within one plane of rows and slices"),
    "long_axis_mm": ("mm", "", "longest diameter within one axial slice, as RECIST 1.1 takes it"),
    "short_axis_mm": ("mm", "", "longest span at right angles to it in the same slice"),
    "long_axis_slice": ("", "", "slice of the long axis, counted from 0"),
    "pixel_mm": ("mm", "", "larger side of a pixel of that slice: the error of a diameter"),
    "axis_major_mm": ("mm", "TDIC", "four times the root of the largest eigenvalue of the voxels' covariance"),
    "axis_minor_mm": ("mm", "P9VJ", "the same of the second"),
    "axis_least_mm": ("mm", "7J51", "the same of the third"),
    "elongation": ("", "Q3CK", "minor over major axis"),
    "flatness": ("", "N17B", "least over major axis"),
}

#: The same for intensities; "·" stands for the unit of the image.
INTENSITY: dict[str, tuple[str, str, str]] = {
    "mean": ("·", "Q4LE", "mean"),
    "variance": ("·²", "ECT3", "variance (divided by n)"),
    "skewness": ("", "KE2A", "third standardised moment"),
    "excess_kurtosis": ("", "IPH6", "fourth standardised moment less 3; 0 for a Gaussian"),
    "median": ("·", "Y12H", "median"),
    "minimum": ("·", "1GSF", "smallest value"),
    "percentile_10": ("·", "QG58", "10th percentile, between values by a straight line"),
    "percentile_25": ("·", "", "25th percentile"),
    "percentile_75": ("·", "", "75th percentile"),
    "percentile_90": ("·", "8DWT", "90th percentile"),
    "maximum": ("·", "84IY", "largest value"),
    "interquartile_range": ("·", "SALO", "75th less 25th percentile"),
    "range": ("·", "2OJQ", "largest less smallest value"),
    "mean_absolute_deviation": ("·", "4FUA", "mean distance from the mean"),
    "robust_mean_absolute_deviation": ("·", "1128", "the same of the values from the 10th to the 90th percentile"),
    "median_absolute_deviation": ("·", "N72L", "mean distance from the median"),
    "coefficient_of_variation": ("", "7TET", "standard deviation over mean"),
    "quartile_coefficient_of_dispersion": ("", "9S40", "interquartile range over the sum of both quartiles"),
    "energy": ("·²", "N8CA", "sum of squares"),
    "root_mean_square": ("·", "5ZWQ", "root of the mean square"),
    "entropy": ("bit", "TLU2", "Shannon entropy of the binned values"),
    "uniformity": ("", "BJ5W", "sum of the squared shares of the bins"),
    "centre_of_mass_shift_mm": ("mm", "KLMA", "from the centre of the voxels to the centre of intensity"),
    "integrated_intensity": ("·mm³", "99N0", "mesh volume times mean"),
}

#: Features that are counts.
WHOLE = ("voxels", "components", "long_axis_slice")
