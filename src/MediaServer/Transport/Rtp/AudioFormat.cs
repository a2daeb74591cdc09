namespace VoicePlatform.MediaServer.Transport.Rtp;

/// <summary>The numbers that one section of one connection negotiated.</summary>
/// <param name="Opus">Payload type of Opus.</param>
/// <param name="Red">Payload type of RED over that Opus, null when not negotiated.</param>
/// <param name="LevelId">Header extension of the audio level, 0 when not negotiated.</param>
/// <param name="MidId">Header extension of the mid, 0 when not negotiated.</param>
internal sealed record AudioFormat(byte Opus, byte? Red, int LevelId, int MidId);
