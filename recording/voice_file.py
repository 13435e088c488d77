"""Speech as a file every phone plays: MP3, mono. Safari before 17 plays no Ogg or WebM sound; MP3 plays everywhere."""

import io

import av
from av.audio.resampler import AudioResampler

RATE = 22_050  # Hz
BITS = 32_000  # per second: speech stays clear, a minute is 240 kB


def mp3_of(wav: bytes) -> bytes:
    """Encode a WAV file (any rate, mono or stereo); CPU-bound: use a thread. Raises ValueError without sound in it."""
    out = io.BytesIO()
    samples = 0
    try:
        with av.open(io.BytesIO(wav), "r", format="wav") as source, av.open(out, "w", format="mp3") as target:
            stream = target.add_stream("libmp3lame", rate=RATE, options={"compression_level": "8"})
            stream.bit_rate = BITS
            stream.layout = "mono"
            resampler = AudioResampler(format=stream.format, layout="mono", rate=RATE)
            for decoded in source.decode(audio=0):
                for frame in resampler.resample(decoded):
                    samples += frame.samples
                    target.mux(stream.encode(frame))
            for frame in resampler.resample(None):
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise ValueError(f"not a sound file: {type(error).__name__}") from error
    if samples == 0:
        raise ValueError("no sound in it")
    return out.getvalue()
