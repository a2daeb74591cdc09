using Microsoft.Win32.SafeHandles;
using VoicePlatform.LiveKit.Rtc.Ffi;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>An object that lives in the library until this is disposed.</summary>
internal sealed class FfiHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public FfiHandle(FfiOwnedHandle owned)
        : base(ownsHandle: true)
    {
        Id = owned.Id;
        SetHandle((nint)owned.Id);
    }

    public ulong Id { get; }

    protected override bool ReleaseHandle() => NativeMethods.DropHandle(Id);
}
