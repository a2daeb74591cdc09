using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary>What a caller must be allowed to, else the call is refused as LiveKit refuses it.</summary>
internal static class Grants
{
    public static void RequireRoomCreate(VerifiedToken? caller) => Require(caller?.Token.Video is { RoomCreate: true });

    public static void RequireRoomList(VerifiedToken? caller) => Require(caller?.Token.Video is { RoomList: true });

    /// <summary>Administration of exactly this room.</summary>
    public static void RequireRoomAdmin(VerifiedToken? caller, string room) =>
        Require(caller?.Token.Video is { RoomAdmin: true } grant && room.Length > 0 && grant.Room == room);

    /// <summary>Trunks and dispatch rules.</summary>
    public static void RequireSipAdmin(VerifiedToken? caller) => Require(caller?.Token.Sip is { Admin: true });

    /// <summary>Dialling and transferring.</summary>
    public static void RequireSipCall(VerifiedToken? caller) => Require(caller?.Token.Sip is { Call: true });

    public static void RequireRoomRecord(VerifiedToken? caller) => Require(caller?.Token.Video is { RoomRecord: true });

    private static void Require(bool allowed)
    {
        if (!allowed)
        {
            throw TwirpException.Denied();
        }
    }
}
