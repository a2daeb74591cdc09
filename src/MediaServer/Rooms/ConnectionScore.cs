using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>
/// Rates a media connection from loss, round trip and jitter: an opinion score from 1 to 4.5 by the simplified E-model, and what
/// LiveKit calls it.
/// </summary>
internal sealed class ConnectionScore
{
    private const float Best = 4.5f;

    public float Score { get; private set; } = Best;

    public ConnectionQuality Quality { get; private set; } = ConnectionQuality.Excellent;

    public void Update(PeerState state, PeerStats stats)
    {
        if (state is not (PeerState.Connected or PeerState.Connecting))
        {
            (Score, Quality) = (0, ConnectionQuality.Lost);
            return;
        }

        var loss = Math.Clamp(Math.Max(stats.FractionLostIn, stats.FractionLostOut), 0, 1) * 100;
        var jitter = Math.Max(stats.JitterIn.TotalMilliseconds, stats.JitterOut.TotalMilliseconds);
        var latency = (stats.RoundTrip.TotalMilliseconds / 2) + (jitter * 2) + 10;
        var r = 93.2 - (latency < 160 ? latency / 40 : (latency - 120) / 10) - (loss * 2.5);
        var opinion = r <= 0 ? 1 : 1 + (0.035 * r) + (r * (r - 60) * (100 - r) * 7e-6);

        // The model's ceiling is 4.4 at zero delay; LiveKit's clients show 4.5 for a faultless connection.
        Score = (float)Math.Clamp(opinion + 0.1, 1, Best);
        Quality = Score switch
        {
            >= 4.0f => ConnectionQuality.Excellent,
            >= 3.0f => ConnectionQuality.Good,
            _ => ConnectionQuality.Poor,
        };
    }
}
