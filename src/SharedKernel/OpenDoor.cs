namespace VoicePlatform.SharedKernel;

/// <summary>Marks an endpoint that works without a key although it costs something: it is limited by the address that asks (`.WithMetadata(new OpenDoor())`).</summary>
public sealed class OpenDoor;
