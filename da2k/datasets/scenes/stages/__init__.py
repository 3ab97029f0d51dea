"""The sixteen stages: one module a scenario, two functions each, which take a random generator and set the stage."""

from da2k.datasets.scenes.stages import (
    adverse_style,
    aerial,
    indoor,
    non_real,
    objects,
    outdoor,
    transparent_reflective,
    underwater,
)

STAGES = (
    indoor.living_room,
    indoor.corridor,
    outdoor.street,
    outdoor.countryside,
    non_real.mushroom_village,
    non_real.robot,
    transparent_reflective.mirror_ball,
    transparent_reflective.lake,
    adverse_style.fog,
    adverse_style.rainy_night,
    aerial.city,
    aerial.fields,
    underwater.reef,
    underwater.sunken_temple,
    objects.mug,
    objects.cactus,
)
"""In the order of the paper's scenarios."""
