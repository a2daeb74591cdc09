using System.Security.Cryptography;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.MediaServer.Rooms;

/// <summary>Ids in LiveKit's form: a prefix that tells what it is, and twelve random characters.</summary>
internal static class Sid
{
    private const string Alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

    public static string Room() => New("RM_");

    public static string Participant() => New("PA_");

    public static string Dispatch() => New("AD_");

    public static string Job() => New("AJ_");

    public static string Worker() => New("AW_");

    public static string Node() => New("ND_");

    public static string Event() => New("EV_");

    public static string Trunk() => New("ST_");

    public static string DispatchRule() => New("SDR_");

    public static string SipCall() => New("SCL_");

    public static string Transfer() => New("TRF_");

    public static string Egress() => New("EG_");

    public static string Track(TrackSource source) => New(source switch
    {
        TrackSource.Microphone => "TR_AM",
        TrackSource.ScreenShareAudio => "TR_AS",
        _ => "TR_A",
    });

    /// <summary>A random text without a prefix.</summary>
    public static string Secret(int length) => RandomNumberGenerator.GetString(Alphabet, length);

    private static string New(string prefix) => prefix + RandomNumberGenerator.GetString(Alphabet, 12);
}
