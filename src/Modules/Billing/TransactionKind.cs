namespace VoicePlatform.Billing;

/// <summary>Why credits moved.</summary>
internal enum TransactionKind
{
    /// <summary>Bought credits came in.</summary>
    Topup,

    /// <summary>Credits were given.</summary>
    Promotional,

    /// <summary>Reserved for a conversation that begins.</summary>
    Hold,

    /// <summary>More was reserved for one that goes on.</summary>
    Extend,

    /// <summary>A conversation was paid for, the rest of its hold went back; or the month of a number.</summary>
    Charge,

    /// <summary>A hold went back whole.</summary>
    Release,

    /// <summary>Another transaction was taken back.</summary>
    Reversal,

    /// <summary>A correction by the operator.</summary>
    Adjustment,

    /// <summary>Promotional credits were not used in time.</summary>
    Expiry,
}
