"""Builds `ParticipantStats` from the living objects. Off the packet path."""

from rtc.consumer import Consumer
from rtc.producer import Producer, ProducerLayer
from rtc.stats import ConsumerStats, LayerStats, ParticipantStats, ProducerStats
from rtc.uplink import Uplink
from rtc.viewer import Viewer


def participant_stats(uplink: Uplink, viewer: Viewer, now_ns: int) -> ParticipantStats:
    """A snapshot. Totals count from the join; a reconnect starts the incoming ones anew."""
    path = uplink.path
    return ParticipantStats(
        rtt_ms=viewer.rtt_ns / 1e6 if viewer.rtt_ns is not None else None,
        uplink_loss=uplink.loss,
        downlink_loss=viewer.downlink.loss,
        uplink_bps=sum(layer.meter.bps for p in uplink.producers.values() for layer in p.layers),
        downlink_bps=viewer.sent_bps,
        estimate_bps=viewer.downlink.bps,
        video_state=viewer.gate.state.value,
        packets_in=path.packets,
        bytes_in=path.bytes,
        malformed=path.malformed,
        unknown=path.unknown,
        probes=path.probes,
        producers=tuple(_producer(producer, now_ns) for producer in uplink.producers.values()),
        consumers=tuple(_consumer(consumer) for consumer in viewer.consumers.values()),
    )


def _producer(producer: Producer, now_ns: int) -> ProducerStats:
    layers = tuple(_layer(layer, producer, now_ns) for layer in producer.layers)
    return ProducerStats(producer.source, producer.live, producer.granted, producer.paused, layers)


def _layer(layer: ProducerLayer, producer: Producer, now_ns: int) -> LayerStats:
    stream = layer.stream
    rate = stream.clock_rate if stream is not None else 1
    return LayerStats(
        rid=layer.rid,
        active=layer.active(now_ns),
        bps=layer.meter.bps,
        width=layer.width,
        height=layer.height,
        packets=stream.packets if stream else 0,
        bytes=stream.bytes if stream else 0,
        loss=stream.report_loss if stream else 0.0,
        jitter_ms=stream.jitter * 1000 / rate if stream else 0.0,
        missing=len(stream.missing) if stream else 0,
        recovered=stream.recovered if stream else 0,
        unrecovered=stream.given_up if stream else 0,
        duplicates=stream.duplicates if stream else 0,
        malformed=stream.malformed if stream else 0,
        refused=stream.refused if stream else 0,
        keyframes=stream.keyframes if stream else 0,
        keyframe_requests=layer.requests.sent,
    )


def _consumer(consumer: Consumer) -> ConsumerStats:
    producer, slot = consumer.producer, consumer.slot
    return ConsumerStats(
        mid=consumer.section.mid,
        participant_id=producer.participant_id if producer is not None else None,
        source=producer.source if producer is not None else None,
        layer=consumer.index,
        height=consumer.frame_height(),
        waiting_for_keyframe=consumer.waiting,
        packets=slot.packets,
        octets=slot.octets,
        frames=slot.frames,
        bps=consumer.meter.bps,
        loss=consumer.loss,
        jitter_ms=consumer.jitter_ms,
        retransmitted=slot.resent,
        unanswered_nacks=slot.unanswered,
        switches=slot.switches,
        freezes_suspected=consumer.freezes,
    )
